"""`python -m gravurekit.sample [PORT]`: the sample engine, for trying a crawl by hand."""

import sys

from gravurekit.sample.engine import Engine


def main(port: int) -> None:
    """Serve on `port` (0: a free one) until Ctrl-C."""
    engine = Engine(port)
    sys.stdout.write(f"{engine.address}\n")
    sys.stdout.flush()
    try:
        engine.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
