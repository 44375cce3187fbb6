"""Events, what goes between processes, and models by the S3 protocol, which moto speaks here."""

import hashlib
import os

import boto3
import pytest
from moto.server import ThreadedMotoServer

from conftest import Cluster, digest_of, free_port

KEY = "the-secret-of-s3"


def environment(port):
    return {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "arblast", "AWS_SECRET_ACCESS_KEY": KEY,
    }


class S3:
    def __init__(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]
        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1", aws_access_key_id="arblast", aws_secret_access_key=KEY)
        self.client.create_bucket(Bucket="shop")

    def read(self, name):
        return self.client.get_object(Bucket="shop", Key=name)["Body"].read()


@pytest.fixture(scope="module")
def s3():
    s3 = S3()
    yield s3
    s3.server.stop()


@pytest.fixture(scope="module")
def cluster_of_s3(s3, tmp_path_factory):
    """Executors that know where S3 is."""
    before = dict(os.environ)
    os.environ.update(environment(s3.port))
    try:
        cluster = Cluster(tmp_path_factory.mktemp("cluster-s3"))
        yield cluster
        cluster.stop()
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_everything_is_on_s3(s3, cluster_of_s3, shop, tmp_path):
    s3.client.put_object(Bucket="shop", Key="events/events.jsonl", Body=shop.events.read_bytes())
    words = ["--scratch", "s3://shop/scratch", "--count", "executors"]
    for generation in (1, 2):
        done = shop.train(cluster_of_s3, "s3://shop/models", *words, events="s3://shop/events")
        assert digest_of(done.stdout) == shop.digest and f"generation {generation} " in done.stdout, done.stdout
    engine = "models/shop%40shop"
    assert s3.read(f"{engine}/CURRENT") == b"0000000002\n"
    assert hashlib.sha256(s3.read(f"{engine}/0000000002/model.arblast")).hexdigest() == shop.digest
    assert not s3.client.list_objects_v2(Bucket="shop", Prefix="scratch/").get("Contents"), "the folder of the job stays"
    few = tmp_path / "few.jsonl"
    few.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    refused = shop.train(cluster_of_s3, "s3://shop/models", *words, events=few, check=False)
    assert refused.returncode == 1 and "not published" in refused.stderr, refused.stderr
    assert s3.read(f"{engine}/CURRENT") == b"0000000002\n"


def test_what_is_wrong_with_s3_is_told(s3, cluster, shop, tmp_path):
    words = shop.words(cluster, tmp_path / "m", "--scratch", "s3://nothing/scratch")
    done = shop.arblast(*words, check=False, **environment(s3.port))
    assert done.returncode == 1 and "s3://nothing/scratch" in done.stderr and "bucket" in done.stderr, done.stderr
    done = shop.arblast(*words, check=False, **environment(free_port()))
    assert done.returncode == 75 and "s3://nothing/scratch" in done.stderr, done.stderr
    assert KEY not in done.stderr + done.stdout
