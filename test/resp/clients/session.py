"""A session by redis-py, in both of its parsers and, where it has version 3 of the protocol, in that too. Arguments: port, ID of a region."""
import inspect
import sys

import redis
from redis import connection

port, region = int(sys.argv[1]), sys.argv[2]


def session(client):
    assert client.ping()
    assert client.setrange(region, 0, b'from python') == 4096
    assert client.getrange(region, 0, 10) == b'from python'
    assert client.strlen(region) == 4096 and client.exists(region) == 1 and client.dbsize() == 1
    assert [key.decode() for key in client.scan_iter()] == [region]
    assert client.client_setname('me') and client.client_getname() in ('me', b'me')
    mine = client.client_info()
    assert mine['name'] == 'me' and mine['db'] == 0 and mine['multi'] == -1, mine
    assert mine['id'] in [int(each['id']) for each in client.client_list()]
    assert mine['id'] in [int(each['id']) for each in client.client_list(_type='normal')]
    assert client.client_list(_type='pubsub') == []
    assert [int(each['id']) for each in client.client_list(client_id=[str(mine['id'])])] == [mine['id']]
    info = client.info()
    assert info['connected_clients'] >= 1 and info['loading'] == 0, info
    assert list(client.info('stats')) and 'connected_clients' not in client.info('stats')
    commands = client.command()
    assert len(commands) == client.command_count()
    assert 'write' in [str(flag) for flag in commands['setrange']['flags']], commands['setrange']
    made = client.execute_command('BLOB.CREATE', 5, 'DATA', b'bytes')
    try:
        client.execute_command('BLOB.READ', made, 1, 10)
        raise AssertionError('a read beyond the end')
    except redis.ResponseError as error:
        assert str(error).startswith('OUT_OF_RANGE'), error
    transaction(client, made)
    with client.pipeline(transaction=False) as pipeline:
        assert pipeline.setrange(made, 0, b'BYTES').getrange(made, 0, -1).execute() == [5, b'BYTES']
    assert client.delete(made) == 1


def transaction(client, made):
    """What a pipeline of redis-py is unless told: all of it, or nothing."""
    try:
        client.pipeline().setrange(made, 0, b'WRONG').delete(made).execute()
        raise AssertionError('a transaction')
    except redis.ResponseError as error:
        assert str(error).startswith('NOT_SUPPORTED'), error
    assert client.getrange(made, 0, -1) == b'bytes'


parsers = {getattr(connection, name, None) for name in ('PythonParser', '_RESP2Parser', 'HiredisParser', '_HiredisParser')}
settings = [{'parser_class': parser} for parser in parsers if parser is not None and (
    'Hiredis' not in parser.__name__ or connection.HIREDIS_AVAILABLE)]
if 'protocol' in inspect.signature(redis.Redis).parameters:
    settings = [{'protocol': 2}, {'protocol': 3}]
for setting in settings:
    pool = redis.ConnectionPool(host='127.0.0.1', port=port, **setting)
    session(redis.Redis(connection_pool=pool))
    pool.disconnect()
print(f'redis-py {redis.__version__}: {len(settings)} sessions')
