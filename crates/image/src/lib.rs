//! The content-addressed image store.
//!
//! An *image* is a small JSON document, its [config](ImageConfig), that names the *layers* of its root file system by
//! the SHA-256 of each layer's uncompressed tar (its *diff ID*). The SHA-256 of the config's own bytes is the image's
//! ID, so an ID fixes everything below it. This crate keeps those bytes; it knows no containers, and which names
//! point to which IDs is the engine's table.
//!
//! The parts, from the bottom up:
//!
//! - [`Digest`]: `sha256:HEX`, and adaptors that hash what streams through them.
//! - [`Reference`]: `busybox`, `localhost:5000/a/b:1`, … read and written as Docker does.
//! - [`ImageConfig`], and [`apply_changes`] for the `--change` instructions of `import` and `commit`.
//! - `tar`: a streaming tar reader that hands over every byte, so that an archive can be written again exactly.
//! - [`unpack`]: a tar stream becomes a folder in the form overlayfs wants; whatever the archive says, nothing outside
//!   of the folder is touched.
//! - [`Store`]: the folder on disk. [`Store::load`] reads what `docker save` and OCI tools write, in one pass;
//!   [`Store::import`] makes an image of a plain root file system; [`Store::layer_tar`] gives a layer's tar back, bit
//!   for bit.
//! - [`Incoming`]: an image from a registry, layer by layer, each while it is downloaded; [`KnownBlob`] is what is
//!   remembered of it, for `push`.
//! - `shift`: a layer's folder again with other owners, where no mount can map them.
//!
//! ```no_run
//! # fn main() -> Result<(), bulkhead_image::ImageError> {
//! use bulkhead_image::Store;
//! let store = Store::open("/var/lib/bulkhead/images".as_ref())?;
//! let archive = std::fs::File::open("busybox.tar").map_err(|e| bulkhead_image::ImageError::io("open busybox.tar", e))?;
//! for image in store.load(archive, &mut |_progress| {})? {
//!     println!("{} {:?}", image.id.short(), image.references);
//!     for layer in &image.layers {
//!         println!("  {}", store.layer_folder(layer)?.display());
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! What is verified: every digest that an archive states is computed anew before anything appears in the store, and a
//! layer or a config appears by one rename. What isn't: nothing is synced to disk. An image can be loaded again, and
//! [`Store::verify_layer`] tells whether a layer on disk still is what its digest says.
#![forbid(unsafe_code)]

pub mod changes;
mod commit;
mod compression;
mod config;
mod digest;
mod error;
mod import;
mod load;
pub mod pack;
mod reference;
mod save;
mod shift;
mod store;
mod tar;
pub mod unpack;

pub use commit::CommitOptions;
pub use compression::decompressed;
pub use config::{ContainerConfig, Empty, History, ImageConfig, RootFs, apply_changes};
pub use digest::{Digest, HashingReader, HashingWriter};
pub use error::ImageError;
pub use import::ImportOptions;
pub use load::descriptor::{Descriptor, Index, Manifest, StatedPlatform};
pub use load::incoming::Incoming;
pub use load::{Loaded, Platform, Progress};
pub use reference::Reference;
pub use shift::Ids;
pub use store::{KnownBlob, LayerMeta, Shifted, ShiftedNames, Store};
pub use unpack::{Highest, Limits};

/// What this crate's functions give.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;
