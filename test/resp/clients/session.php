<?php
// A session by Predis. Arguments: port, ID of a region.
require '/usr/share/php/Predis/Autoloader.php';
Predis\Autoloader::register();
[, $port, $region] = $argv;
$client = new Predis\Client("tcp://127.0.0.1:$port");
function check(bool $isSo, string $what): void
{
    if (!$isSo) {
        fwrite(STDERR, "$what\n");
        exit(1);
    }
}
check((string) $client->ping() === 'PONG', 'ping');
check($client->setrange($region, 0, 'from php') === 4096, 'setrange');
check($client->getrange($region, 0, 7) === 'from php', 'getrange');
check($client->strlen($region) === 4096 && $client->dbsize() === 1, 'strlen, dbsize');
$info = $client->info();
check((int) $info['Clients']['connected_clients'] >= 1, 'info');
check(count($client->client('list')) >= 1, 'client list');
foreach (new Predis\Collection\Iterator\Keyspace($client) as $key) {
    check($key === $region, 'scan');
}
check((string) $client->set('name', 'one') === 'OK' && $client->get('name') === 'one', 'set, get');
$replies = $client->transaction(function ($transaction) {
    $transaction->set('name', 'two');
    $transaction->incr('count');
    $transaction->get('name');
});
check($replies[1] === 1 && $replies[2] === 'two', 'a transaction');
check($client->del('name', 'count') === 2, 'del');
check($client->getrange($region, 0, 7) === 'from php', 'after a transaction');
$client->disconnect();
echo "Predis ", Predis\Client::VERSION, ": 1 session\n";
