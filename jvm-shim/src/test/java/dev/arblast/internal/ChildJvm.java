package dev.arblast.internal;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** A program in a JVM of its own, for what would spoil or end this one. */
final class ChildJvm {
  /** The exit code. */
  final int code;
  /** What it printed, to either stream. */
  final String output;

  private ChildJvm(int code, String output) {
    this.code = code;
    this.output = output;
  }

  /** Runs the class with the classes of this JVM. */
  static ChildJvm run(List<String> options, Class<?> main, Object... arguments) {
    return run(options, System.getProperty("java.class.path"), main, arguments);
  }

  static ChildJvm run(List<String> options, String classPath, Class<?> main, Object... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Paths.get(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    if (isAtLeast(24)) {
      command.add("--enable-native-access=ALL-UNNAMED");
    }
    command.addAll(Arrays.asList("-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=target/crash-%p.log", "-cp", classPath, main.getName()));
    Arrays.stream(arguments).forEach(argument -> command.add(argument.toString()));
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String output = new String(all(process.getInputStream()), StandardCharsets.UTF_8);
      if (!process.waitFor(60, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("does not end: " + output);
      }
      return new ChildJvm(process.exitValue(), output);
    } catch (IOException | InterruptedException error) {
      throw new AssertionError(error);
    }
  }

  /** Fails unless it ended well. */
  ChildJvm succeeded() {
    if (code != 0) {
      throw new AssertionError("exit code " + code + ":\n" + output);
    }
    return this;
  }

  /** The class path of this JVM with another path for what Maven puts into the jar. */
  static String classPathWith(Path classes) {
    String own = classes().toString();
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(entry -> Paths.get(entry).equals(Paths.get(own)) ? classes.toString() : entry)
        .collect(Collectors.joining(File.pathSeparator));
  }

  /** Folder of the classes and resources that are tested. */
  static Path classes() {
    return folderOf(Native.class);
  }

  static Path folderOf(Class<?> type) {
    try {
      return Paths.get(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (java.net.URISyntaxException error) {
      throw new AssertionError(error);
    }
  }

  private static boolean isAtLeast(int java) {
    String version = System.getProperty("java.specification.version");
    return !version.startsWith("1.") && Integer.parseInt(version) >= java;
  }

  private static byte[] all(InputStream in) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int length = in.read(buffer); length >= 0; length = in.read(buffer)) {
      out.write(buffer, 0, length);
    }
    return out.toByteArray();
  }
}
