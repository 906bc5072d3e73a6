-- A session by lua-redis. Arguments: port, ID of a region.
local redis = require 'redis'
local port, region = arg[1], arg[2]
local client = redis.connect('127.0.0.1', tonumber(port))
assert(client:ping())
assert(client:setrange(region, 0, 'from lua') == 4096)
assert(client:getrange(region, 0, 7) == 'from lua')
assert(client:exists(region) and client:strlen(region) == 4096 and client:dbsize() == 1)
local info = client:info()
assert(tonumber(info.clients.connected_clients) >= 1, 'connected_clients')
assert(info.stats.total_commands_processed ~= nil, 'total_commands_processed')
assert(client:set('name', 'one') and client:get('name') == 'one' and client:append('name', '!') == 4)
local replies = client:transaction(function(t)
  t:set('name', 'two')
  t:incr('count')
  t:get('name')
end)
assert(replies[2] == 1 and replies[3] == 'two', 'a transaction')
assert(client:del('name', 'count') == 2)
assert(client:getrange(region, 0, 7) == 'from lua')
client:quit()
print 'lua-redis: 1 session'
