"""`jv-session-mw new-key`: a fresh signing key."""

import argparse
import secrets
import sys

from jv_session_mw.settings import SECRET_KEYS

KEY_BYTES = 32  # 256 bits, the output size of the HMAC-SHA256 that it feeds

ADVICE = f"""\
Put it where the application finds it, and out of version control:
  export {SECRET_KEYS}=<the key>
To rotate, put the new key first and keep the old one until its tokens have expired:
  export {SECRET_KEYS}=<the new key>,<the old key>
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments: there is one right length."""


def run(_arguments: argparse.Namespace) -> int:
    """Print the key alone on stdout, so that `$(jv-session-mw new-key)` works; advice on stderr."""
    print(secrets.token_urlsafe(KEY_BYTES), flush=True)
    print(ADVICE, end="", file=sys.stderr)
    return 0
