package dev.arblast;

import java.io.IOException;
import java.io.UncheckedIOException;

/** Something outside does not answer or has no room: try again later. */
public class UnavailableException extends UncheckedIOException {
  public UnavailableException(String message) {
    super(message, new IOException(message));
  }

  public UnavailableException(String message, IOException cause) {
    super(message, cause);
  }
}
