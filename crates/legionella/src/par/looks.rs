//! How lanes wait for what other groups tell. Knows nothing of what that is.

use legionella_device::intrinsic::pause;

/// How often they look before they ask whether they should go on at all, of which the host tells: that takes much
/// longer.
const LOOKS: u32 = 1 << 12;

/// How often the lanes of a subgroup, all at once, have looked.
#[derive(Default)]
pub(super) struct Looks(u32);

impl Looks {
    /// They look again. Ends them if the launch was cancelled or an item of it has panicked.
    #[inline(always)]
    pub(super) fn again(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(LOOKS) {
            pause();
        }
    }
}
