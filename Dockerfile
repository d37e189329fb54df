# The image of ddnsd: `make image`, or `docker build .`. Two stages, so that pip and the build's tools stay behind.
# For builds that repeat exactly, name the base by its digest:
#   docker build --build-arg PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:… .
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python3 -m venv /opt/ddnsd
COPY requirements.lock ./
# Wheels alone: nothing is compiled here, so what a hash stands for is what runs.
RUN /opt/ddnsd/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY ddnsd ddnsd
RUN /opt/ddnsd/bin/pip install --no-cache-dir --no-compile --no-deps --no-build-isolation . \
    && /opt/ddnsd/bin/pip uninstall --yes setuptools pip \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/ddnsd/lib

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ddnsd" \
      org.opencontainers.image.description="Dynamic DNS that scales out: any node answers, a lost node loses nothing" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://ddnsd.dev"
COPY --from=build /opt/ddnsd /opt/ddnsd
# The one folder that ddnsd writes into: its state (data/) in it, on a volume.
RUN install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/ddnsd
ENV PATH=/opt/ddnsd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/ddnsd
USER 10001:10001
# 8080 update API, 8081 admin API and 8082 health (both on 127.0.0.1 unless the configuration says otherwise)
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
ENTRYPOINT ["ddnsd"]
CMD ["serve"]
