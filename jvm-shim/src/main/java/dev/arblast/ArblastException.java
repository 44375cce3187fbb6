package dev.arblast;

/** A defect of Arblast: report it. Other failures arrive as exceptions of the JDK, by what the caller can do. */
public class ArblastException extends RuntimeException {
  public ArblastException(String message) {
    super(message);
  }
}
