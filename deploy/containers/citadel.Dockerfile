# citadel: certificates (15022), metrics and health (15023). Its volume holds the root: keep it.
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/citadel.Dockerfile -t meltemi/citadel .
FROM node:26.10.0-slim
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/meltemi
VOLUME /var/lib/meltemi
WORKDIR /app
COPY deploy/containers/package.json apps/citadel/dist/ ./
ENV NODE_ENV=production \
    MELTEMI_STATE_DIR=/var/lib/meltemi \
    MELTEMI_LISTEN=0.0.0.0:15022 \
    MELTEMI_ADMIN_LISTEN=0.0.0.0:15023
USER 1000:1000
EXPOSE 15022 15023
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:15023/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
