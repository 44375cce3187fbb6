package dev.arblast.spark.source;

import dev.arblast.internal.EventAppender;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/** A home of Arblast on this machine, whose embedded store has events. */
final class Home {
  private Home() {}

  /** The folder that {@code load} or {@code save} names, if there is a store with that app. */
  static String check(String location, String app) {
    String home = folder(location);
    // opens the store and looks for the app
    new EventAppender(home, app, 0).close();
    return home;
  }

  private static String folder(String location) {
    org.apache.hadoop.fs.Path path = new org.apache.hadoop.fs.Path(location);
    String scheme = path.toUri().getScheme();
    if (scheme != null && !scheme.equals("file")) {
      throw new IllegalArgumentException(
          location + " is no folder of this machine: an embedded store is on a local disk, so name its home as a path or file: URL");
    }
    Path home = Paths.get(path.toUri().getPath());
    if (!Files.isDirectory(home.resolve("store"))) {
      throw new IllegalArgumentException(
          home + " is no home of Arblast on this machine (" + machine() + "): it has no folder \"store\". Events are in an embedded store:"
              + " whoever reads or writes them, the driver first of all, must run on the machine that has it");
    }
    return home.toString();
  }

  /** The name of this machine, for messages. */
  static String machine() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException nameless) {
      return "which has no name";
    }
  }
}
