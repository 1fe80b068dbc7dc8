# docker build -t vpp .
# docker run --rm --network host --read-only --tmpfs /tmp -v vpp-data:/var/lib/vpp/data \
#     -v "$PWD/park:/var/lib/vpp/park" vpp
#
# `park` is a folder as `vpp init` writes it, which user 10001 may write: strategies that are put over HTTP
# are written there. deploy/compose.yaml says the same, hardened.
#
# The service listens on loopback only until it knows credentials, hence the host's network.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.txt requirements/build.txt requirements/
# The runtime goes into an environment of its own: what builds the wheel stays behind.
RUN python -m venv /opt/vpp \
    && /opt/vpp/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt \
    && pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY . .
RUN python -m hatchling build -t wheel -d /tmp/wheel \
    && /opt/vpp/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl \
    && /opt/vpp/bin/python -m pip uninstall --yes setuptools pip

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/vpp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/vpp /opt/vpp
RUN install -d -o 10001 -g 10001 /var/lib/vpp /var/lib/vpp/data /var/lib/vpp/park \
    && python -m pip uninstall --yes --root-user-action=ignore wheel setuptools pip
USER 10001:10001
# Relative paths of data lead here; nothing else is written but /tmp.
WORKDIR /var/lib/vpp
VOLUME /var/lib/vpp/data
EXPOSE 8080
# urlopen raises on any answer but 2xx, and python then exits 1.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["vpp"]
CMD ["run", "park/park.yaml"]
