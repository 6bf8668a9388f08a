# pilot: xDS over mTLS (15012), metrics and health (15014), config API (15016). Plaintext xDS stays off: it is for loopback only.
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/pilot.Dockerfile -t meltemi/pilot .
FROM node:26.10.0-slim
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/meltemi
VOLUME /var/lib/meltemi
WORKDIR /app
COPY deploy/containers/package.json apps/pilot/dist/ ./
ENV NODE_ENV=production \
    MELTEMI_STATE_DIR=/var/lib/meltemi \
    MELTEMI_LISTEN=0.0.0.0:15012 \
    MELTEMI_ADMIN_LISTEN=0.0.0.0:15014 \
    MELTEMI_CONFIG_LISTEN=0.0.0.0:15016
USER 1000:1000
EXPOSE 15012 15014 15016
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:15014/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
