package dev.arblast.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** A command line of {@code --name value} and {@code --flag}. */
final class Options {
  private final Map<String, List<String>> given = new HashMap<>();

  /** Reads what was given; an unknown name is an error that tells the known ones. */
  Options(String[] words, List<String> names, List<String> flags) {
    for (int i = 0; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      String name = equals < 0 ? words[i] : words[i].substring(0, equals);
      boolean isFlag = flags.contains(name);
      if (!isFlag && !names.contains(name)) {
        TreeSet<String> known = new TreeSet<>(names);
        known.addAll(flags);
        throw new IllegalArgumentException("no option is called " + words[i] + "; there are " + String.join(", ", known));
      }
      String value = equals >= 0 ? words[i].substring(equals + 1) : isFlag ? "true" : i + 1 < words.length ? words[++i] : null;
      if (value == null) {
        throw new IllegalArgumentException(name + " needs a value");
      }
      given.computeIfAbsent(name, any -> new ArrayList<>()).add(value);
    }
  }

  boolean has(String name) {
    return given.containsKey(name);
  }

  String or(String name, String otherwise) {
    return has(name) ? given.get(name).get(0) : otherwise;
  }

  String needed(String name, String what) {
    if (!has(name)) {
      throw new IllegalArgumentException(name + " is missing: " + what);
    }
    return given.get(name).get(0);
  }

  /** All values of an option, also those that one text lists with commas. */
  List<String> list(String name) {
    List<String> all = new ArrayList<>();
    given.getOrDefault(name, new ArrayList<>()).forEach(text -> all.addAll(Arrays.asList(text.split(","))));
    return all;
  }

  int number(String name, int otherwise) {
    String text = or(name, String.valueOf(otherwise));
    try {
      int number = Integer.parseInt(text);
      if (number > 0) {
        return number;
      }
    } catch (NumberFormatException notOne) {
      // The message below says it.
    }
    throw new IllegalArgumentException(name + " must be a positive number, got " + text);
  }
}
