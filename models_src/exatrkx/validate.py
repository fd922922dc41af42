"""`python -m exatrkx.validate`: another name of `python -m exatrkx.validation`."""

from exatrkx.validation.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
