package dev.arblast;

/** Damaged data: restore it, or train again. */
public class CorruptDataException extends ArblastException {
  public CorruptDataException(String message) {
    super(message);
  }
}
