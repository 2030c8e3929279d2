import pytest

from parable.errors import UserError
from parable.store.endpoint import s3_endpoint


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "https://s3.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": ""}, "https://s3.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000"}, "http://minio:9000"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000"),
        ({"AWS_ENDPOINT_URL": "minio.example"}, "https://minio.example"),
        ({"AWS_ENDPOINT_URL": "minio:9000"}, "https://minio:9000"),
        ({"AWS_ENDPOINT_URL": "http://a", "PARABLE_S3_ENDPOINT": "http://b"}, "http://b"),
        ({"AWS_ENDPOINT_URL": "http://a", "PARABLE_S3_ENDPOINT": ""}, "http://a"),
        ({"PARABLE_S3_ENDPOINT": "http://[::1]:9000"}, "http://[::1]:9000"),
    ],
)
def test_where_the_server_is(environment: dict[str, str], expected: str) -> None:
    parts = s3_endpoint(environment)
    assert f"{parts.scheme}://{parts.netloc}" == expected


@pytest.mark.parametrize(
    "given", ["ftp://host", "http://", "http://host:port", "http://host/path", "http://h?x", "://"]
)
@pytest.mark.parametrize("variable", ["PARABLE_S3_ENDPOINT", "AWS_ENDPOINT_URL"])
def test_a_malformed_endpoint_is_named_with_its_variable(variable: str, given: str) -> None:
    with pytest.raises(UserError) as caught:
        s3_endpoint({variable: given})
    assert str(caught.value) == f"{variable} is {given!r}; write it as http://host:port or https://host:port."


def test_a_password_in_an_endpoint_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError, match="PARABLE_S3_ENDPOINT must hold no user and no password") as caught:
        s3_endpoint({"PARABLE_S3_ENDPOINT": "http://user:hush@host:9000"})
    assert "hush" not in str(caught.value)
