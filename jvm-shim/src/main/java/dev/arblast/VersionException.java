package dev.arblast;

/** Made by another version of Arblast: use the same version everywhere, or train again. */
public class VersionException extends ArblastException {
  public VersionException(String message) {
    super(message);
  }
}
