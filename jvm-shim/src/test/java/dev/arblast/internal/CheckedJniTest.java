package dev.arblast.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The JVM's own checker finds nothing wrong with how native code uses it. */
class CheckedJniTest {
  private static final int CALLS = 4000;

  @TempDir Path folder;

  @Test
  void theCheckerHasNothingToSay() {
    ChildJvm child = ChildJvm.run(Collections.singletonList("-Xcheck:jni"), BorderFuzz.class, CALLS, folder, 11).succeeded();
    List<String> complaints =
        Arrays.stream(child.output.split("\n"))
            .filter(line -> line.contains("WARNING") || line.contains("FATAL"))
            .collect(Collectors.toList());
    assertEquals(Collections.emptyList(), complaints, child.output);
    BorderFuzz.METHODS.forEach(method -> assertTrue(child.output.contains(method.getName() + "={"), method + " was not called"));
  }
}
