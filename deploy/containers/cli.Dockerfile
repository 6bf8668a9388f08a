# meltemi, the command line.
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/cli.Dockerfile -t meltemi/cli .
FROM node:26.10.0-slim
WORKDIR /app
COPY deploy/containers/package.json apps/cli/dist/ ./
ENV NODE_ENV=production
USER 1000:1000
HEALTHCHECK NONE
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
