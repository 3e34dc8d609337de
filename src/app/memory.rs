//! Gives memory that nobody uses any more back to the system.

use std::hint::black_box;
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// More than the allocator keeps for the next one of its size.
const BLOCK: usize = 1024 * 1024;

/// The allocator gives back what has been free for a second, but it only looks for it when one of its own pages goes, as
/// one does at the end of a large block. A gateway whose connections have all gone would hold their memory until there is
/// work again, so such a block comes and goes now and then. Nothing is written to it.
pub(super) async fn give_back() {
    loop {
        tokio::time::sleep(EVERY).await;
        drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
}
