-- What makes a store of version 2 one of version 3: networks are more than one, and a container's address is held by its
-- endpoint. What once was released is not changed any more.
CREATE TABLE networks (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, driver TEXT NOT NULL,
  settings TEXT NOT NULL, last_ipv4 INTEGER, last_ipv6 BLOB) WITHOUT ROWID;
CREATE TABLE endpoints (
  container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
  network TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
  link INTEGER NOT NULL, ipv4 INTEGER, ipv6 BLOB, settings TEXT NOT NULL,
  PRIMARY KEY (container, network)) WITHOUT ROWID;
CREATE UNIQUE INDEX endpoints_ipv4 ON endpoints (network, ipv4);
CREATE UNIQUE INDEX endpoints_ipv6 ON endpoints (network, ipv6);
INSERT INTO networks SELECT
  lower(hex(randomblob(32))), 'bridge', 0, 'bridge',
  json_object(
    'link', value ->> '$.name', 'mtu', value ->> '$.mtu',
    'ipam', json_array(json_object('subnet', value ->> '$.subnet', 'gateway', value ->> '$.gateway'))),
  NULL, NULL
  FROM settings WHERE key = 'default network';
INSERT INTO endpoints SELECT a.container, n.id, 0, a.address, NULL, '{}' FROM addresses a, networks n;
DROP TABLE addresses;
DELETE FROM settings WHERE key = 'default network' OR key LIKE 'last address of %';
