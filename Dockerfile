# A server of the wheel that `make wheel` leaves in dist/; docs/server.md says how to run it.
#
#   make wheel && docker build -t realm-serve .
#   docker run -p 8501:8501 -v /srv/realm:/models:ro realm-serve

FROM python:3.11-slim-bookworm AS install
COPY requirements.lock dist/*.whl /install/
RUN python -m venv /opt/realm \
    && /opt/realm/bin/pip install --no-cache-dir --constraint /install/requirements.lock \
       "$(echo /install/realm_tf-*.whl)[serve,mcp]"

FROM python:3.11-slim-bookworm
COPY --from=install /opt/realm /opt/realm
RUN useradd --create-home --uid 1000 realm
USER 1000:1000
WORKDIR /home/realm
ENV PATH=/opt/realm/bin:$PATH \
    PYTHONUNBUFFERED=1
EXPOSE 8501
# Until the first version is loaded and warm it is not ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/v2/health/ready', timeout=4)"]
ENTRYPOINT ["realm", "serve", "--host=0.0.0.0", "--model=/models"]
