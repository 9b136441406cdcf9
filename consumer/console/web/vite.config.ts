import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2022",
    // Everything is a file of its own: the policy allows no inline script or style, and each file is cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
