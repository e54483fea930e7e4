// Swagger UI on the service's own document; nothing is validated or loaded anywhere else.

SwaggerUIBundle({ url: "docs.json", dom_id: "#swagger-ui", validatorUrl: null, presets: [SwaggerUIBundle.presets.apis] });
