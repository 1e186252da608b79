-- What makes a store of version 1 one of version 2: containers have IDs of their own, and volumes a range that their
-- files are stored with. What once was released is not changed any more.
ALTER TABLE images ADD COLUMN highest TEXT;
ALTER TABLE containers ADD COLUMN users TEXT NOT NULL DEFAULT '"Host"';
ALTER TABLE volumes ADD COLUMN first_id INTEGER NOT NULL DEFAULT 0;
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
