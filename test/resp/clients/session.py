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
    names(client)
    transaction(client)
    with client.pipeline(transaction=False) as pipeline:
        assert pipeline.setrange(made, 0, b'BYTES').getrange(made, 0, -1).execute() == [5, b'BYTES']
    assert client.delete(made) == 1


def names(client):
    """What programs use of Redis's strings."""
    assert client.set('name', b'one') and client.get('name') == b'one'
    assert client.set('name', b'two', nx=True) is None and client.set('name', b'two', xx=True)
    assert client.getset('name', b'three') == b'two' and client.append('name', b'!') == 6
    assert client.setrange('name', 8, b'?') == 9 and client.get('name') == b'three!\x00\x00?'
    assert client.mset({'a': 1, 'b': 2}) and client.mget('a', 'none', 'b') == [b'1', None, b'2']
    assert client.incr('a', 41) == 42 and client.decr('b') == 1 and not client.setnx('a', 0)
    assert client.rename('name', 'other') and client.exists('name', 'other', 'a') == 2
    assert sorted(client.keys('[ab]')) == [b'a', b'b']
    assert client.delete('a', 'b', 'other', 'none') == 3 and client.get('other') is None


def transaction(client):
    """What a pipeline of redis-py is unless told: all of it, or nothing."""
    pipeline = client.pipeline()
    assert pipeline.set('name', b'one').append('name', b' two').get('name').execute() == [True, 7, b'one two']
    with client.pipeline() as watching:
        watching.watch('name')
        client.set('name', b'other')
        watching.multi()
        watching.set('name', b'WRONG')
        try:
            watching.execute()
            raise AssertionError('a transaction over a name that another one has changed')
        except redis.WatchError:
            pass
    assert client.getdel('name') == b'other'


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
