import { after, before, describe } from 'node:test';
import { BookinfoMesh } from './bookinfo-mesh.ts';
import { standardTasks, taskManifests } from './standard-tasks.ts';

describe('the sample’s standard tasks', () => {
  let book: BookinfoMesh;
  before(async () => {
    book = await BookinfoMesh.start(82, taskManifests);
  });
  after(() => book?.stop());
  standardTasks({ book: () => book });
});
