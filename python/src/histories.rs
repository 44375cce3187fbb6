//! What users did, as a trained model remembers it: enough to answer queries by user, without a store of events.

use std::cmp::Reverse;

use events::{Deed, EventRef, VisitDeed};
use model::{Dictionary, DictionaryBuilder, DictionaryError};

/// Deeds on their way in.
#[derive(Default)]
pub struct Noting {
    users: DictionaryBuilder,
    names: DictionaryBuilder,
    kinds: DictionaryBuilder,
    things: DictionaryBuilder,
    deeds: Vec<Done>,
}

/// Deeds of users, 24 bytes each: users in the order of their ids, of each the newest first.
pub struct Histories {
    users: Dictionary,
    names: DictionaryBuilder,
    kinds: DictionaryBuilder,
    things: DictionaryBuilder,
    deeds: Vec<Done>,
}

struct Done {
    user: u32,
    name: u16,
    kind: u16,
    thing: u32,
    millis: i64,
}

impl Noting {
    /// Takes note of an event, if a user did something to something.
    ///
    /// # Errors
    /// More distinct ids than a dictionary holds, or than 65536 names of events.
    pub fn push(&mut self, event: &EventRef<'_>) -> Result<(), DictionaryError> {
        let Some((kind, thing)) = event.target.filter(|_| event.entity_type == "user") else { return Ok(()) };
        let small = |id: u32| u16::try_from(id).map_err(|_| DictionaryError::Full);
        self.deeds.push(Done {
            user: self.users.intern(event.entity_id)?,
            name: small(self.names.intern(event.event)?)?,
            kind: small(self.kinds.intern(kind)?)?,
            thing: self.things.intern(thing)?,
            millis: event.event_time.millis,
        });
        Ok(())
    }

    /// Brings the deeds of each user together. Of equal times the newer is what came later.
    #[must_use]
    pub fn finish(self) -> Histories {
        let Self { users, names, kinds, things, mut deeds } = self;
        let (users, ids) = users.finish();
        deeds.iter_mut().for_each(|deed| deed.user = ids[deed.user as usize]);
        deeds.reverse();
        deeds.sort_by_key(|deed| (deed.user, Reverse(deed.millis)));
        Histories { users, names, kinds, things, deeds }
    }
}

impl Histories {
    /// Visits what a user did, newest first, until `visit` says `Break`.
    pub fn visit(&self, user: &str, visit: VisitDeed<'_>) {
        let Some(user) = self.users.find(user) else { return };
        let first = self.deeds.partition_point(|deed| deed.user < user);
        let own = self.deeds[first..].iter().take_while(|deed| deed.user == user);
        for deed in own {
            let event = self.names.get(u32::from(deed.name));
            let target = (self.kinds.get(u32::from(deed.kind)), self.things.get(deed.thing));
            if visit(&Deed { event, target: Some(target), millis: deed.millis }).is_break() {
                return;
            }
        }
    }
}
