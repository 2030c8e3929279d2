"""Any S3 endpoint as an object store, through the `minio` client."""

import io
import random
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from parable.errors import UserError
from parable.store.base import (
    AlreadyExistsError,
    NotFoundError,
    ObjectInfo,
    check_key,
    check_prefix,
    check_range,
)
from parable.store.endpoint import s3_endpoint
from parable.store.temporary import arriving

if TYPE_CHECKING:
    from minio import Minio
    from minio.error import S3Error

Result = TypeVar("Result")

ABSENT_CODES = frozenset({"NoSuchKey", "NoSuchObject", "NoSuchVersion"})
CREDENTIAL_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken"}
)
TRANSIENT_CODES = frozenset(
    {"InternalError", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout",
     "XMinioServerNotInitialized", "TooManyRequests", "ConditionalRequestConflict"}
)  # fmt: skip
PART_BYTES = 8 << 20
NUM_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.25
LARGEST_WAIT_SECONDS = 4.0
MAX_CONNECTIONS = 16
CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 60.0
DEFAULT_REGION = "us-east-1"


class MinioStore:
    """Objects under a prefix of one bucket, with bounded retries of what may pass."""

    def __init__(self, client: "Minio", bucket: str, prefix: str, endpoint: str) -> None:
        """Use a client as it is; `from_environment` is the usual way in.

        Raises:
            UserError: the bucket is not there, the credentials are refused, or nothing answers.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self._endpoint = endpoint
        try:
            there = self._ask(lambda: client.bucket_exists(bucket_name=bucket))
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"The store {self.uri} names no possible bucket: {error}.") from error
        if not there:
            raise UserError(
                f"The bucket {bucket!r} does not exist at {endpoint}. Make it (for instance "
                f"`mc mb store/{bucket}`), or name another with --store s3://bucket/prefix."
            )

    @classmethod
    def from_environment(cls, bucket: str, prefix: str, environment: Mapping[str, str]) -> "MinioStore":
        """Build the client from the variables that `open_store` names.

        Raises:
            UserError: a variable is missing or malformed, or the store can't be used.
        """
        import urllib3
        from minio import Minio

        access_key = environment.get("AWS_ACCESS_KEY_ID", "")
        secret_key = environment.get("AWS_SECRET_ACCESS_KEY", "")
        if not access_key or not secret_key:
            raise UserError(
                f"The store s3://{bucket} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(and PARABLE_S3_ENDPOINT, unless it is Amazon's)."
            )
        parts = s3_endpoint(environment)
        client = Minio(
            endpoint=parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            session_token=environment.get("AWS_SESSION_TOKEN"),
            secure=parts.scheme == "https",
            region=environment.get("AWS_REGION") or DEFAULT_REGION,
            http_client=urllib3.PoolManager(
                maxsize=MAX_CONNECTIONS,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
                # Retries are ours: they must tell an outage from a refusal.
                retries=False,
                cert_reqs="CERT_REQUIRED",
                ca_certs=environment.get("SSL_CERT_FILE"),
            ),
        )
        return cls(client, bucket, prefix, f"{parts.scheme}://{parts.netloc}")

    def __repr__(self) -> str:
        return f"MinioStore({self.uri!r})"

    @property
    def uri(self) -> str:
        """The address without credentials."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """See `ObjectStore.put`."""
        name = self._name(key)
        if if_absent:
            self._put_if_absent(name, key, data)
        else:
            self._ask(
                lambda: self._client.put_object(
                    bucket_name=self._bucket,
                    object_name=name,
                    data=io.BytesIO(data),
                    length=len(data),
                    part_size=PART_BYTES,
                    num_parallel_uploads=1,
                )
            )

    def put_file(self, key: str, path: Path) -> None:
        """See `ObjectStore.put_file`."""
        name = self._name(key)
        path.stat()  # What is wrong with the file must not pass for an outage.
        self._ask(
            lambda: self._client.fput_object(
                bucket_name=self._bucket,
                object_name=name,
                file_path=str(path),
                part_size=PART_BYTES,
                # With more, the client reads the whole file into a queue before the first part is away.
                num_parallel_uploads=1,
            )
        )

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        return self._read(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `ObjectStore.get_range`."""
        check_range(start, length)
        if length == 0 and self.stat(key) is None:
            raise NotFoundError(key)
        return self._read(key, start, length) if length else b""

    def get_file(self, key: str, path: Path) -> None:
        """See `ObjectStore.get_file`."""
        name = self._name(key)

        def fetch() -> None:
            response = self._client.get_object(bucket_name=self._bucket, object_name=name)
            try:
                with temporary.open("wb") as file:
                    for chunk in response.stream(1 << 20):
                        file.write(chunk)
            finally:
                response.close()
                response.release_conn()

        with arriving(path) as temporary:
            self._ask(fetch, key)

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        try:
            found = self._ask(
                lambda: self._client.stat_object(bucket_name=self._bucket, object_name=self._name(key)), key
            )
        except NotFoundError:
            return None
        return ObjectInfo(
            key, found.size or 0, found.last_modified.timestamp() if found.last_modified else 0.0
        )

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        found = self._ask(
            lambda: list(
                self._client.list_objects(
                    bucket_name=self._bucket, prefix=self._prefix + check_prefix(prefix), recursive=True
                )
            )
        )
        for item in found:
            key = str(item.object_name)[len(self._prefix) :]
            if key.endswith("/") or not key:
                continue  # Some tools mark a folder by an empty object; it is none of ours.
            modified = item.last_modified.timestamp() if item.last_modified else 0.0
            yield ObjectInfo(key, item.size or 0, modified)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._ask(lambda: self._client.remove_object(bucket_name=self._bucket, object_name=self._name(key)))

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _read(self, key: str, start: int = 0, length: int = 0) -> bytes:
        """A range of an object; all of it when both are 0."""
        from minio.error import S3Error

        name = self._name(key)

        def read() -> bytes:
            try:
                response = self._client.get_object(
                    bucket_name=self._bucket, object_name=name, offset=start, length=length
                )
            except S3Error as error:
                if error.code == "InvalidRange":
                    return b""  # It begins past the end.
                raise
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return self._ask(read, key)

    def _put_if_absent(self, name: str, key: str, data: bytes) -> None:
        from minio.error import S3Error

        attempts = 0

        def put() -> None:
            nonlocal attempts
            attempts += 1
            try:
                # put_object has no argument for the condition, and the header must be signed with the rest.
                self._client._execute(
                    "PUT",
                    bucket_name=self._bucket,
                    object_name=name,
                    body=data,
                    headers={"If-None-Match": "*"},
                )
            except S3Error as error:
                if error.code == "PreconditionFailed":
                    raise AlreadyExistsError(key) from error
                raise

        try:
            self._ask(put)
        except AlreadyExistsError:
            # An attempt may have written the object although its answer was lost on the way.
            if attempts == 1 or self.get(key) != data:
                raise

    def _ask(self, call: Callable[[], Result], key: str = "") -> Result:
        """Call until it is answered, a refusal is certain, or the attempts are used up."""
        import urllib3
        from minio.error import InvalidResponseError, S3Error, ServerError

        wait = FIRST_WAIT_SECONDS
        attempt = 1
        while True:
            try:
                return call()
            except S3Error as error:
                if error.code not in TRANSIENT_CODES:
                    raise self._refusal(error, key) from error
                trouble: Exception = error
            except InvalidResponseError as error:
                if error._code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise UserError(
                        f"What answers at {self._endpoint} is no S3 server (status {error._code}). Set "
                        "PARABLE_S3_ENDPOINT to the port of its S3 interface."
                    ) from error
                trouble = error
            except (urllib3.exceptions.HTTPError, ServerError, ConnectionError, TimeoutError) as error:
                trouble = error
            if attempt == NUM_ATTEMPTS:
                raise UserError(
                    f"The store {self._endpoint} does not answer ({type(trouble).__name__}; {NUM_ATTEMPTS} "
                    "attempts). Check PARABLE_S3_ENDPOINT and that the server is up, then run the same "
                    "command again: it goes on from what is finished."
                ) from trouble
            time.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(wait * 2, LARGEST_WAIT_SECONDS)
            attempt += 1

    def _refusal(self, error: "S3Error", key: str) -> Exception:
        """What an answer that will not change means to the caller."""
        if error.code in ABSENT_CODES:
            return NotFoundError(key)
        if error.code == "NoSuchBucket":
            return UserError(
                f"The bucket {self._bucket!r} does not exist at {self._endpoint}. Make it, or name another "
                "with --store s3://bucket/prefix."
            )
        if error.code in CREDENTIAL_CODES:
            return UserError(
                f"The store {self._endpoint} refuses the credentials for bucket {self._bucket!r} "
                f"({error.code}). Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may read, "
                "write and list this bucket."
            )
        return UserError(
            f"The store {self._endpoint} answered {error.code} for bucket {self._bucket!r} "
            f"({error.message}). Check the bucket's name and PARABLE_S3_ENDPOINT."
        )
