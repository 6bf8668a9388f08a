# telemetry: access logs over mTLS (15030), service graph, metrics and health (15031).
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/telemetry.Dockerfile -t meltemi/telemetry .
FROM node:26.10.0-slim
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/meltemi
VOLUME /var/lib/meltemi
WORKDIR /app
COPY deploy/containers/package.json apps/telemetry/dist/ ./
ENV NODE_ENV=production \
    MELTEMI_STATE_DIR=/var/lib/meltemi \
    MELTEMI_LISTEN=0.0.0.0:15030 \
    MELTEMI_HTTP_LISTEN=0.0.0.0:15031
USER 1000:1000
EXPOSE 15030 15031
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:15031/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
