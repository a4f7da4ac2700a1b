# syntax=docker/dockerfile:1
# A static binary in an otherwise empty image: no shell, no package, one user.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build VERSION="$VERSION" \
 && install -d -m 0700 -o 10001 -g 10001 /out/data \
 && install -D bin/datasync-bridge /out/datasync-bridge

FROM scratch
# CA roots for calls to Slack, PagerDuty and Datasync; zones are in the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/datasync-bridge /datasync-bridge
# /data is the one folder that the bridge writes to; mount a volume there and
# run with --read-only.
COPY --from=build --chown=10001:10001 /out/data /data
USER 10001:10001
WORKDIR /data
ENV BRIDGE_STORE__SQLITE__PATH=/data/bridge.db
EXPOSE 8080
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/datasync-bridge", "healthcheck", "-c", "/etc/datasync-bridge/config.yaml"]
ENTRYPOINT ["/datasync-bridge"]
CMD ["serve", "-c", "/etc/datasync-bridge/config.yaml"]
