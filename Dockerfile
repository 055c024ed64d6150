# syntax=docker/dockerfile:1
# Two images: `docker build --target cpu .` and `docker build --target gpu .`; docs/operations.md says how large they are.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/reviewmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/reviewmill \
    REVIEWMILL_HOME=/var/lib/reviewmill \
    HF_HOME=/var/lib/reviewmill/hub \
    KERAS_HOME=/var/lib/reviewmill/keras
# The home is the only folder that is written to, beside /tmp: a volume made from it belongs to the same user.
RUN groupadd --system --gid 10001 reviewmill \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/reviewmill --shell /usr/sbin/nologin reviewmill \
    && install -d -o reviewmill -g reviewmill -m 0750 /var/lib/reviewmill


FROM base AS build
ENV SITE_PACKAGES=/opt/reviewmill/lib/python3.11/site-packages
WORKDIR /src
# No pip in it: that of this stage installs into it, and stays behind.
RUN python -m venv --without-pip /opt/reviewmill
COPY . .


FROM build AS build-cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/reviewmill install --disable-pip-version-check -c constraints.txt '.[http,s3]'
# What nobody runs: headers to compile against TensorFlow, and the libraries' own tests.
RUN rm -r "$SITE_PACKAGES/tensorflow/include" \
    && find "$SITE_PACKAGES" -type d -name tests -prune -exec rm -r {} +


FROM build AS build-gpu
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/reviewmill install --disable-pip-version-check -c constraints.txt '.[http,s3,gpu]'
RUN rm -r "$SITE_PACKAGES/tensorflow/include" \
    && find "$SITE_PACKAGES" -type d -name tests -prune -exec rm -r {} +


# For the profile `flower` of the compose file: queue lengths in a browser.
FROM build AS build-flower
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/reviewmill install --disable-pip-version-check -c constraints.txt celery flower redis


FROM base AS flower
COPY --from=build-flower /opt/reviewmill /opt/reviewmill
COPY deploy/flower /etc/flower
ENV PYTHONPATH=/etc/flower
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["celery", "--config=celeryconfig"]
CMD ["flower", "--conf=/etc/flower/flowerconfig.py"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5555/healthcheck')"]


FROM base AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Reviewmill" \
      org.opencontainers.image.description="Classify reviews in bulk with transformer models: queued jobs, every probability in SQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
USER 10001:10001
WORKDIR /var/lib/reviewmill
VOLUME /var/lib/reviewmill
STOPSIGNAL SIGTERM
ENTRYPOINT ["reviewmill"]
CMD ["worker"]
# Of a worker, whether SQL has heard of it lately. Whatever else is run in an image says so in its compose file.
HEALTHCHECK --interval=30s --timeout=20s --start-period=90s --retries=3 CMD ["python", "-m", "worker.health"]


FROM runtime AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-gpu /opt/reviewmill /opt/reviewmill


# The last target is what `docker build .` makes.
FROM runtime AS cpu
COPY --from=build-cpu /opt/reviewmill /opt/reviewmill
