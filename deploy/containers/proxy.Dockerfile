# meltemi-proxy, as sidecar or gateway: outbound (15001), inbound (15006), health (15021), Prometheus (15090). Admin (15000) stays on loopback.
# User 1337 is whom traffic capture leaves alone. Health belongs to mesh proxies; with -c, give --no-healthcheck.
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/proxy.Dockerfile -t meltemi/proxy .
FROM node:26.10.0-slim
RUN install -d -o 1337 -g 1337 -m 0700 /var/lib/meltemi
VOLUME /var/lib/meltemi
WORKDIR /app
COPY deploy/containers/package.json apps/proxy/dist/ ./
ENV NODE_ENV=production \
    MELTEMI_STATE_DIR=/var/lib/meltemi
USER 1337:1337
EXPOSE 15001 15006 15021 15090
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:15021/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
