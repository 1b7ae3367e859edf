//! The only place where parts are assembled: locations become stores, settings become an opened repository.
