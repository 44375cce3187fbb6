//! Random numbers without a source of them: functions of what they are for.

/// Takes in bytes and ends in 64 bits, each as likely 0 as 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash(u64);

impl Hash {
    /// Nothing but a seed yet.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// With these bytes behind what is there.
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| mix(hash ^ u64::from(*byte))))
    }

    /// The bits.
    pub fn bits(self) -> u64 {
        mix(self.0)
    }

    /// Normally distributed: mean 0, variance 1 (Box and Muller 1958), the same on every platform.
    pub fn normal(self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(self.bits())));
        radius * libm::cos(std::f64::consts::TAU * uniform(self.with(&[0]).bits()))
    }
}

/// In [0, 1): the upper half of the bits is all that is needed.
fn uniform(bits: u64) -> f64 {
    f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / 4_294_967_296.0
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
