package dev.arblast.spark.sql;

import java.util.ArrayList;
import java.util.List;
import scala.collection.Seq;

/** Arguments of functions as Spark hands them over: whatever type the query gave them, so that each is checked here. */
final class Arguments {
  private Arguments() {}

  /** A whole number of whatever width. */
  static long whole(String function, String argument, Object value) {
    if (value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
      return ((Number) value).longValue();
    }
    throw new IllegalArgumentException(
        function + ": " + argument + " must be a whole number (bigint), got " + value + " of another type: use cast");
  }

  /** A whole number that fits an int. */
  static int small(String function, String argument, Object value) {
    long whole = whole(function, argument, value);
    if (whole < 0 || whole > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(function + ": " + argument + " must be from 0 to " + Integer.MAX_VALUE + ", got " + whole);
    }
    return (int) whole;
  }

  /** Texts of an array, without its nulls. Of Scala's lists only what is the same in 2.12 and 2.13. */
  static List<String> texts(String function, String argument, Object value) {
    if (!(value instanceof Seq)) {
      throw new IllegalArgumentException(function + ": " + argument + " must be array<string>, got " + value);
    }
    Seq<?> array = (Seq<?>) value;
    List<String> texts = new ArrayList<>(array.length());
    for (int i = 0; i < array.length(); i++) {
      if (array.apply(i) != null) {
        texts.add(array.apply(i).toString());
      }
    }
    return texts;
  }
}
