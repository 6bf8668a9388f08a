#!/usr/bin/env node
import { launch } from '@meltemi/observe-edge/launch';

await launch(new URL('../src/main.ts', import.meta.url), { keepCompiled: true });
