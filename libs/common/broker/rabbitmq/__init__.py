"""RabbitMQ: the only home of aio_pika.

The library's "robust" connection is not used: it reopens channels in silence, restores consumers
under their old tag (which RabbitMQ before 3.11.23 may stop serving), holds channels by weak
references only, and fails for good when the broker is down at the start. Here a *session* is one
connection with all that stands on it; whatever goes wrong ends the session, and the next one is
built from nothing, topology included. Publishing and consuming never share a connection: an alarm
blocks publishers.
"""

from libs.common.broker.rabbitmq.consumer import RabbitMQConsumer
from libs.common.broker.rabbitmq.publisher import RabbitMQPublisher

__all__ = ["RabbitMQConsumer", "RabbitMQPublisher"]
