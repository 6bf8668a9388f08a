# Bookinfo, one image for its four services: docker run meltemi/bookinfo reviews, with SERVICE_VERSION in the environment.
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/bookinfo.Dockerfile -t meltemi/bookinfo .
FROM node:26.10.0-slim
WORKDIR /app
COPY deploy/containers/package.json apps/bookinfo/dist/ ./
ENV NODE_ENV=production
USER 1000:1000
EXPOSE 9080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:9080/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
CMD ["productpage"]
