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
try {
    $client->transaction(fn ($transaction) => $transaction->setrange($region, 0, 'WRONG'));
    check(false, 'a transaction');
} catch (Predis\Response\ServerException $error) {
    check(str_starts_with($error->getMessage(), 'NOT_SUPPORTED'), $error->getMessage());
}
$client->disconnect();
check($client->getrange($region, 0, 7) === 'from php', 'after a transaction');
echo "Predis ", Predis\Client::VERSION, ": 1 session\n";
