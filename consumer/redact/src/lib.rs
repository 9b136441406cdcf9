//! Finds and masks secrets and personal data in JSON; pure.
