package dev.arblast.internal;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;
import java.util.Properties;

/**
 * Finds the native library, checks that it is the one this jar was made with, and loads it.
 *
 * <p>The library comes from the jar, as a new file for each class loader (the JVM refuses one file in two), which is gone as soon as it is
 * loaded. Two settings, each a system property or else a variable of the environment:
 *
 * <ul>
 *   <li>{@code arblast.native.dir} / {@code ARBLAST_NATIVE_DIR}: folder for that file, where {@code java.io.tmpdir} forbids to execute
 *   <li>{@code arblast.native.path} / {@code ARBLAST_NATIVE_PATH}: load this file instead
 * </ul>
 */
final class NativeLibrary {
  static final String DIR = "arblast.native.dir";
  static final String PATH = "arblast.native.path";

  private static volatile UnsatisfiedLinkError failure;

  private NativeLibrary() {}

  static void load() {
    try {
      find();
    } catch (UnsatisfiedLinkError error) {
      failure = error;
      throw error;
    }
  }

  /** Fails if loading has: before Java 17 a class that could not be initialised does not say why a second time. */
  static void check() {
    UnsatisfiedLinkError error = failure;
    if (error != null) {
      throw caused(error.getMessage(), error);
    }
  }

  private static void find() {
    String folder = "/native/" + platform() + "/";
    Properties expected = properties(folder + "identity.properties");
    String given = setting(PATH);
    String origin;
    if (given == null) {
      origin = "the jar";
      loadFromJar(folder + "libarblast_jni.so", expected.getProperty("sha256"));
    } else {
      origin = given;
      linked(Paths.get(given));
    }
    String found = new String(Native.identity(), StandardCharsets.UTF_8);
    if (!found.equals(expected.getProperty("identity"))) {
      throw new UnsatisfiedLinkError(
          "the native library is of another build than the jar: the library (" + origin + ") is " + found + ", the jar expects "
              + expected.getProperty("identity"));
    }
  }

  private static void loadFromJar(String resource, String sha256) {
    String dir = setting(DIR);
    Path folder = Paths.get(dir == null ? System.getProperty("java.io.tmpdir") : dir);
    Path file = null;
    try (InputStream library = resource(resource)) {
      // A link to a folder is one, too; before Java 20 `createDirectories` does not see that.
      if (!Files.isDirectory(folder)) {
        Files.createDirectories(folder);
      }
      file = Files.createTempFile(folder, "arblast-", ".so");
      String found = hex(copy(library, file));
      if (!found.equals(sha256)) {
        throw new UnsatisfiedLinkError("the native library in the jar is damaged: its SHA-256 is " + found + ", recorded is " + sha256);
      }
      linked(file);
    } catch (IOException error) {
      throw failed("cannot write the native library to " + folder + " (" + error + ")", error);
    } finally {
      // The mapping lives on without the name.
      if (file != null) {
        file.toFile().delete();
      }
    }
  }

  /** Gives the SHA-256. Small heaps have no room for all of it at once. */
  private static byte[] copy(InputStream from, Path file) throws IOException {
    MessageDigest digest = sha256();
    byte[] buffer = new byte[1 << 16];
    try (OutputStream out = Files.newOutputStream(file)) {
      for (int length = from.read(buffer); length >= 0; length = from.read(buffer)) {
        digest.update(buffer, 0, length);
        out.write(buffer, 0, length);
      }
    }
    return digest.digest();
  }

  private static void linked(Path file) {
    try {
      System.load(file.toAbsolutePath().toString());
    } catch (UnsatisfiedLinkError error) {
      throw failed("cannot load the native library " + file + " (" + error.getMessage() + ")", error);
    }
  }

  private static UnsatisfiedLinkError failed(String what, Throwable cause) {
    return caused(
        what + ". If that folder forbids to execute files (noexec), name another one with -D" + DIR + "=FOLDER or "
            + variable(DIR) + "; in Spark: spark.driver.extraJavaOptions and spark.executor.extraJavaOptions",
        cause);
  }

  private static UnsatisfiedLinkError caused(String message, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }

  private static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch");
    return os + "-" + (arch.equals("amd64") ? "x86_64" : arch);
  }

  private static String setting(String name) {
    String value = System.getProperty(name);
    value = value == null ? System.getenv(variable(name)) : value;
    return value == null || value.isEmpty() ? null : value;
  }

  private static String variable(String name) {
    return name.toUpperCase(Locale.ROOT).replace('.', '_');
  }

  private static Properties properties(String resource) {
    Properties properties = new Properties();
    try (InputStream in = resource(resource)) {
      properties.load(in);
    } catch (IOException error) {
      throw failed("cannot read " + resource + " in the jar", error);
    }
    return properties;
  }

  private static InputStream resource(String name) {
    InputStream in = NativeLibrary.class.getResourceAsStream(name);
    if (in == null) {
      throw new UnsatisfiedLinkError(
          "this jar has no native library for " + platform() + " (no " + name + "); name one with -D" + PATH + "=FILE");
    }
    return in;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error);
    }
  }

  private static String hex(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (byte b : bytes) {
      text.append(String.format("%02x", b));
    }
    return text.toString();
  }
}
