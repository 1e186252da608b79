-- The tables of a new store.
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
  id TEXT PRIMARY KEY, created TEXT NOT NULL, loaded INTEGER NOT NULL, size INTEGER NOT NULL,
  layers TEXT NOT NULL, config TEXT NOT NULL, architecture TEXT NOT NULL, highest TEXT) WITHOUT ROWID;
CREATE TABLE tags (
  reference TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE containers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, image TEXT NOT NULL,
  config TEXT NOT NULL, auto_remove INTEGER NOT NULL, creator TEXT NOT NULL,
  users TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX containers_of_image ON containers (image);
CREATE INDEX containers_auto_removed ON containers (id, creator) WHERE auto_remove;
CREATE TABLE image_uses (
  image TEXT NOT NULL REFERENCES images(id),
  container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
  PRIMARY KEY (image, container)) WITHOUT ROWID;
CREATE INDEX images_of_container ON image_uses (container);
CREATE TABLE id_ranges (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, kept INTEGER NOT NULL);
CREATE TABLE id_users (
  container TEXT PRIMARY KEY, first INTEGER NOT NULL REFERENCES id_ranges(first), released INTEGER NOT NULL,
  unsure INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX id_users_of_range ON id_users (first);
CREATE INDEX id_users_released ON id_users (container) WHERE released;
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
CREATE TABLE volumes (
  name TEXT PRIMARY KEY, created INTEGER NOT NULL, labels TEXT NOT NULL, anonymous INTEGER NOT NULL,
  first_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE volume_uses (
  volume TEXT NOT NULL REFERENCES volumes(name),
  container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
  PRIMARY KEY (volume, container)) WITHOUT ROWID;
CREATE INDEX volumes_of_container ON volume_uses (container);
