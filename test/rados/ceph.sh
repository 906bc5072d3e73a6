#!/bin/bash
# A Ceph cluster on loopback for tests: one monitor and three OSDs, without a manager, systemd or containers. About 10 s and 550 MB.
#
#     test/rados/ceph.sh start DIR [PID]   makes DIR and brings the cluster up; with PID it ends when that process does
#     test/rados/ceph.sh kill DIR NAME     kill -9 of one daemon, such as osd.1
#     test/rados/ceph.sh revive DIR NAME   starts it again
#     test/rados/ceph.sh stop DIR          ends it and removes DIR
#
# DIR/ceph.conf and DIR/keyring are for clients: client.admin, and client.regions with the rights that a daemon needs in pool `regions`.
# Only processes that it started itself are ended: each is known by its PID and the time of its start.
# Variables: STORE (bluestore, or memstore), SIZE (3), MIN_SIZE (2), POOL (regions), MON_PORT (any free one).
# Debian: apt-get install ceph-mon ceph-osd ceph-common
set -euo pipefail
ACTION=${1:?start, kill, revive or stop} DIR=${2:?a folder} C=$2/ceph.conf
PATH=$PATH:/usr/sbin:/sbin

alive() { [ -r "/proc/$1/stat" ] && [ "$(cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null)" = "$2" ] && [ "$(sed 's/.*) //' "/proc/$1/stat" | cut -c1)" != Z ]; }

# Its command is in DIR/NAME.command.
spawn() {
  setsid nice bash -c "exec $(cat "$DIR/$1.command")" </dev/null >>"$DIR/log/$1.out" 2>&1 &
  echo "$! $(cut -d' ' -f22 /proc/$!/stat)" > "$DIR/$1.pid"
}

end() {
  local p s; read -r p s < "$DIR/$2.pid"
  ! alive "$p" "$s" || kill "-$1" "$p"
}

stop() {
  [ -f "$C" ] || { echo "$DIR has no ceph.conf; refusing" >&2; exit 1; }
  local f n p s
  for f in "$DIR"/*.pid; do [ -f "$f" ] || continue; n=$(basename "$f" .pid); [ "$n" = watch ] || end KILL "$n"; done
  for f in "$DIR"/*.pid; do
    [ -f "$f" ] || continue
    read -r p s < "$f"
    for _ in $(seq 100); do alive "$p" "$s" || break; [ "$(basename "$f")" != watch.pid ] || break; sleep 0.05; done
  done
  if [ -z "${KEEP:-}" ]; then rm -rf "$DIR"; fi
}

case $ACTION in
  stop) [ ! -d "$DIR" ] || stop; exit ;;
  kill) end KILL "$3"; exit ;;
  revive) spawn "$3"; exit ;;
  start) ;;
  *) echo "unknown action $ACTION" >&2; exit 2 ;;
esac

for tool in ceph-mon ceph-osd ceph monmaptool ceph-authtool rados; do
  command -v $tool >/dev/null || { echo "$tool is not installed (Debian: apt-get install ceph-mon ceph-osd ceph-common)" >&2; exit 77; }
done
STORE=${STORE:-bluestore} SIZE=${SIZE:-3} MIN_SIZE=${MIN_SIZE:-2} POOL=${POOL:-regions} PGS=${PGS:-16} OSDS=3
[ ! -e "$DIR" ] || { echo "$DIR exists" >&2; exit 1; }
MON_PORT=${MON_PORT:-$(node -e "const s=require('net').createServer().listen(0,'127.0.0.1',()=>{console.log(s.address().port);s.close()})")}
PORT_MIN=$((20000 + RANDOM % 20000))
umask 077
mkdir -p "$DIR/mon" "$DIR/log"
DIR=$(cd "$DIR" && pwd) C=$DIR/ceph.conf K=$DIR/keyring FSID=$(cat /proc/sys/kernel/random/uuid)
trap 'rc=$?; [ $rc = 0 ] || { echo "start failed ($rc)" >&2; tail -n 5 "$DIR"/log/*.out >&2; stop; }' EXIT
cat > "$C" <<CONF
[global]
fsid = $FSID
mon_host = [v2:127.0.0.1:$MON_PORT]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_port_min = $PORT_MIN
ms_bind_port_max = $((PORT_MIN + 500))
keyring = $K
run_dir = $DIR
admin_socket = $DIR/\$name.\$pid.asok
log_file = $DIR/log/\$name.log
mon_cluster_log_file = $DIR/log/cluster.log
crash_dir = $DIR/log
osd_pool_default_size = $SIZE
osd_pool_default_min_size = $MIN_SIZE
osd_pool_default_pg_num = $PGS
osd_pool_default_pgp_num = $PGS
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
[mon]
mon_data = $DIR/mon
mon_allow_pool_delete = true
paxos_propose_interval = 0.1
paxos_min_wait = 0.02
mon_osd_reporter_subtree_level = osd
mon_osd_min_down_reporters = 1
mon_osd_down_out_interval = 0
mon_data_avail_crit = 1
auth_allow_insecure_global_id_reclaim = false
[osd]
osd_data = $DIR/osd\$id
osd_objectstore = $STORE
osd_crush_initial_weight = 1
crush_location = root=default host=local
memstore_device_bytes = 1073741824
bluestore_block_create = true
bluestore_block_size = 4294967296
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_heartbeat_interval = 1
osd_heartbeat_grace = 4
osd_max_object_size = 134217728
[client]
log_file =
admin_socket =
CONF
ceph-authtool -C "$K" -g -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool "$K" -g -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
ceph-authtool "$K" -g -n client.regions --cap mon 'allow r' --cap osd "allow rwx pool=$POOL" >/dev/null
for i in $(seq 0 $((OSDS - 1))); do ceph-authtool "$K" -g -n "osd.$i" --cap mon 'allow profile osd' --cap osd 'allow *' >/dev/null; done
monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON_PORT]" "$DIR/monmap" >/dev/null
ceph-mon -c "$C" -i a --mkfs --monmap "$DIR/monmap" --keyring "$K"
echo "ceph-mon -c '$C' -i a -f" > "$DIR/mon.a.command"
spawn mon.a
ceph() { command ceph -c "$C" --connect-timeout 30 "$@"; }
makers=()
for i in $(seq 0 $((OSDS - 1))); do
  uuid=$(cat /proc/sys/kernel/random/uuid)
  mkdir "$DIR/osd$i"
  ceph osd create "$uuid" "$i" >/dev/null
  echo "ceph-osd -c '$C' -i $i -f" > "$DIR/osd.$i.command"
  ceph-osd -c "$C" -i "$i" --mkfs --osd-uuid "$uuid" >"$DIR/log/mkfs.$i.out" 2>&1 & makers+=($!)
done
for p in "${makers[@]}"; do wait "$p"; done
for i in $(seq 0 $((OSDS - 1))); do spawn "osd.$i"; done
for t in $(seq 60); do ceph osd stat 2>/dev/null | grep -q "$OSDS up" && break; sleep 0.5; [ "$t" != 60 ]; done
ceph osd pool create "$POOL" "$PGS" "$PGS" replicated 2>>"$DIR/log/cli"
ceph osd pool application enable "$POOL" bedrock 2>>"$DIR/log/cli"
# A listing visits every placement group, and waits until each is active.
timeout 60 rados -c "$C" -p "$POOL" ls >/dev/null
if [ -n "${3:-}" ]; then
  echo "while kill -0 $3 2>/dev/null; do sleep 1; done; '$(realpath "$0")' stop '$DIR'" > "$DIR/watch.command"
  setsid bash "$DIR/watch.command" </dev/null >/dev/null 2>&1 &
fi
echo "$C"
