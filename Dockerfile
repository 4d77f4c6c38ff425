# The daemon, without development dependencies, as an unprivileged user. TypeScript runs as it is: there is no build.
#
#   docker build -t linkdao-indexer .
#   docker run --env-file .env -p 9464:9464 linkdao-indexer            # follows the chains
#   docker run --env-file .env linkdao-indexer migrate                  # any other command

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The compiler is a peer of viem and no part of running it; neither are declarations and source maps.
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/typescript node_modules/@typescript \
  && find node_modules \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' \) -delete

FROM node:24-slim
ENV NODE_ENV=production \
    HTTP_HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY chains ./chains
COPY sql ./sql
COPY src ./src
USER node
EXPOSE 9464
# Alive, not ready: a daemon that waits for its database or its nodes must not be restarted for it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HTTP_PORT || 9464) + '/healthz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The heap as in `npm start`: without these a backfill takes twice the memory.
ENTRYPOINT ["node", "--max-semi-space-size=16", "--heap-growing-percent=60", "src/main.ts"]
CMD ["run"]
