//! Loads image archives into a store, and says how long it took: `load STORE ARCHIVE…`.

use std::fs::File;
use std::time::Instant;

use bulkhead_image::{ImageError, Store};

fn main() -> Result<(), ImageError> {
    let mut arguments = std::env::args_os().skip(1);
    let root = arguments.next().unwrap_or_else(|| "store".into());
    let store = Store::open(root.as_ref())?;
    for archive in arguments {
        let start = Instant::now();
        let file =
            File::open(&archive).map_err(|e| ImageError::io(format!("open {}", archive.display()), e))?;
        for image in store.load(file, &mut |_| {})? {
            println!("{} {:?} {} bytes", image.id.short(), image.references, image.size);
        }
        println!("{} ms", start.elapsed().as_millis());
    }
    Ok(())
}
