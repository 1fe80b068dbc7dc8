"""Which broker is chosen, and what is refused before one is started."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.brokers import (
    EmbeddedBroker,
    ExternalBroker,
    MosquittoBroker,
    choose_broker,
)
from adapters.mqtt_life import BrokerAddress
from vpp.errors import ConfigError, DataError
from vpp.model.ids import EnterpriseId

STEEL = EnterpriseId("steel")
URL = "mqtt://service%40vpp:s%3Acret@broker.example:8883"


def test_the_demo_takes_the_same_broker_on_every_machine() -> None:
    assert isinstance(choose_broker(URL, [STEEL], prefer="embedded"), EmbeddedBroker)


def test_the_daemon_prefers_a_broker_that_it_is_told_of() -> None:
    assert isinstance(choose_broker(URL, [STEEL], prefer="auto"), ExternalBroker)


def test_the_daemon_prefers_mosquitto_to_the_embedded_broker(mosquitto: Path) -> None:
    assert isinstance(choose_broker(None, [STEEL], prefer="auto"), MosquittoBroker)


def test_an_external_broker_is_reached_as_its_url_says() -> None:
    access = asyncio.run(ExternalBroker(URL).start())

    assert access.address() == BrokerAddress(
        host="broker.example", port=8883, username="service@vpp", password="s:cret"
    )
    assert "s:cret" not in repr(access)
    assert "s:cret" not in repr(access.address())
    with pytest.raises(ConfigError, match="no user steel"):
        access.address("steel")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://u:secret@h", id="another protocol"),
        pytest.param("mqtts://u:secret@h", id="encrypted, which the link does not speak yet"),
        pytest.param("mqtt://h:1883", id="no user"),
        pytest.param("mqtt://u@h", id="no password"),
        pytest.param("mqtt://u:secret@h:port", id="the port is a word"),
        pytest.param("", id="empty"),
    ],
)
def test_an_url_that_is_not_usable_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ConfigError, match="broker url") as caught:
        ExternalBroker(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.168.1.7", "localhost.example", ""])
def test_a_private_broker_never_listens_to_the_world(listen: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        EmbeddedBroker([STEEL], listen=listen)


def test_an_enterprise_cannot_take_the_service_s_name() -> None:
    with pytest.raises(ConfigError, match="not distinct"):
        EmbeddedBroker([EnterpriseId("service")])


def test_a_name_that_would_change_the_topic_rules_is_refused() -> None:
    with pytest.raises(DataError, match="is no id"):
        EmbeddedBroker([EnterpriseId("steel\nuser x\ntopic #")])
