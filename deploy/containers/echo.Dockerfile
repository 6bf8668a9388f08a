# echo, for tests: HTTP (8080), TCP (9000) and gRPC (7070).
# Build the bundle first (npm run build), then from the repository's root: docker build -f deploy/containers/echo.Dockerfile -t meltemi/echo .
FROM node:26.10.0-slim
WORKDIR /app
COPY deploy/containers/package.json apps/echo/dist/ ./
ENV NODE_ENV=production
USER 1000:1000
EXPOSE 7070 8080 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/main.js"]
CMD ["--http", "8080", "--tcp", "9000", "--grpc", "7070"]
