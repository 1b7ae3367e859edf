//! From a password to a key: Argon2id (RFC 9106). The only door to the `argon2` crate.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::codec::kdf::SecretKey;

/// What guessing one password costs. Stored with each slot, so that later slots may ask for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct SlotCosts {
    /// Memory in KiB.
    #[n(0)]
    pub memory_kib: u32,
    /// Passes over the memory.
    #[n(1)]
    pub passes: u32,
    /// Lanes. They are computed one after the other, so they change the result, not the time.
    #[n(2)]
    pub lanes: u32,
}

/// Costs outside the bounds, or beyond the memory there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCosts(String);

impl SlotCosts {
    /// The second recommended option of RFC 9106, section 4.
    pub const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// The least a reader accepts: for tests and tiny machines.
    pub const MIN: Self = Self { memory_kib: 8 << 10, passes: 1, lanes: 1 };
    /// The most a reader accepts: a hostile slot must not exhaust the machine.
    pub const MAX: Self = Self { memory_kib: 4 << 20, passes: 100, lanes: 64 };

    /// Whether each cost lies within the bounds.
    pub fn check(&self) -> Result<(), BadCosts> {
        let bounded = |what, value, min, max, unit| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(BadCosts(format!("{value}{unit} of {what}, where {min} to {max} are allowed")))
        };
        bounded("memory", self.memory_kib, Self::MIN.memory_kib, Self::MAX.memory_kib, " KiB")?;
        bounded("passes", self.passes, Self::MIN.passes, Self::MAX.passes, "")?;
        bounded("lanes", self.lanes, Self::MIN.lanes, Self::MAX.lanes, "")
    }
}

/// Stretches a password. The bytes of the password are used as they are: no Unicode normalisation.
pub(super) fn stretch(password: &str, salt: &[u8; 32], costs: SlotCosts) -> Result<SecretKey, BadCosts> {
    costs.check()?;
    let refused = |error: argon2::Error| BadCosts(error.to_string());
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(32)).map_err(refused)?;
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::default();
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| BadCosts(format!("{} KiB of memory, which this machine does not have", costs.memory_kib)))?;
    memory.resize(params.block_count(), Block::new());
    SecretKey::try_fill(|key| {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password.as_bytes(), salt, key, memory.as_mut_slice())
            .map_err(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_second_recommendation_of_rfc_9106() {
        assert_eq!(SlotCosts::DEFAULT, SlotCosts { memory_kib: 65_536, passes: 3, lanes: 4 });
        for costs in [SlotCosts::MIN, SlotCosts::DEFAULT, SlotCosts::MAX] {
            assert_eq!(costs.check(), Ok(()));
        }
    }

    #[test]
    fn costs_beyond_a_bound_are_refused_before_any_memory_is_taken() {
        let cases = [
            SlotCosts { memory_kib: u32::MAX, ..SlotCosts::MIN },
            SlotCosts { memory_kib: 8191, ..SlotCosts::MIN },
            SlotCosts { passes: 0, ..SlotCosts::MIN },
            SlotCosts { passes: 101, ..SlotCosts::MIN },
            SlotCosts { lanes: 0, ..SlotCosts::MIN },
            SlotCosts { lanes: 65, ..SlotCosts::MIN },
        ];
        for costs in cases {
            assert!(stretch("secret", &[0; 32], costs).is_err(), "{costs:?}");
        }
    }

    #[test]
    fn password_salt_and_costs_each_change_the_key() {
        let key = |password, salt: u8, passes| {
            let costs = SlotCosts { passes, ..SlotCosts::MIN };
            *stretch(password, &[salt; 32], costs).unwrap().expose()
        };
        let first = key("a", 0, 1);
        assert_eq!(first, key("a", 0, 1));
        assert!([key("b", 0, 1), key("a", 1, 1), key("a", 0, 2)].iter().all(|other| *other != first));
    }
}
