"""A store that answers as Google Cloud Storage does, as far as the lake uses it.

It is our S3 server behind the names of GCS's XML interface: an object has a generation, and a PUT
names in ``x-goog-if-generation-match`` the one that it replaces, 0 for none. Objects are deleted
one by one. Credentials are not checked.

No emulator of the registries does the same: gcp-storage-emulator answers such a PUT without a
generation, and fake-gcs-server refuses it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from support.s3_server import KEY_ID, Handler, S3Server, etag_of


class GcsServer(S3Server):
    """See S3Server for its faults; ``folder`` gets the file of a service account."""

    def __init__(self, folder: Path) -> None:
        super().__init__(GcsHandler)
        self._account = folder / "service-account.json"

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which the lake reaches this store."""
        account = {"gcs_base_url": self.url, "disable_oauth": True}
        account |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        self._account.write_text(json.dumps(account))
        return {"GOOGLE_SERVICE_ACCOUNT": str(self._account), "GOOGLE_ALLOW_HTTP": "true"}


class GcsHandler(Handler):
    """The names of GCS for what S3 has, too."""

    @property
    def signed_by(self) -> str:
        return KEY_ID

    @property
    def creates(self) -> bool:
        return self._expected == "0"

    @property
    def replaces(self) -> str | None:
        if self._expected in {None, "0"}:
            return None
        content = self.s3.objects.get(self.key)
        is_it = content is not None and generation_of(content) == self._expected
        return etag_of(content) if is_it and content is not None else "another one"

    @property
    def _expected(self) -> str | None:
        """The generation that is to be replaced; None where any may be."""
        return self.headers.get("x-goog-if-generation-match")

    def end_headers(self) -> None:
        content = self.s3.objects.get(self.key)
        if content is not None:
            self.send_header("x-goog-generation", generation_of(content))
        super().end_headers()


def generation_of(content: bytes) -> str:
    """The same for the same content, as the ETag of the S3 server is."""
    return str(int(hashlib.sha256(content).hexdigest()[:12], 16) + 1)
