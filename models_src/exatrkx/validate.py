"""Validation command under its short name: `python -m exatrkx.validate` is `python -m exatrkx.validation`."""

from exatrkx.validation.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
